return api.pop()
