const all = []; for (let i = 0; i < 60; i++) all.push(api.get({ id: i }).catch(() => 0)); return (await Promise.all(all)).length
