return api.constructor
