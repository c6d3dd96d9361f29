JSON.stringify = () => '{}'; return api.get({ id: 1 })
