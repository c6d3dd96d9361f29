Object.setPrototypeOf(api, { x: 1 }); return api.x
