try { await api.fail({}); } catch (error) { console.log(error.message); throw error; }
