return api.fake.delete({ id: 1 })
