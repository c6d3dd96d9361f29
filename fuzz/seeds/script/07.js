Reflect.apply = () => 1; return api.get({ id: 1 })
