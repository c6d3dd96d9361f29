return api.get({ id: '../../etc/passwd' })
