for (let i = 0; i < 1e6; i++) console.log('x'.repeat(1e4))
