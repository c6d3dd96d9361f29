return new Proxy({}, { get: () => { throw 1 }, ownKeys: () => { for (;;) {} } })
