return 'x'.repeat(2 ** 30)
