String.prototype.startsWith = () => true; return api.get({ id: 1 })
