return api.search({ text: 'dadl-file:0123456789abcdef#base64' })
