const all = await Promise.allSettled([1, 2, 3].map(n => api.xo.get_vm({ n })).concat(api.fail()));
return all.map(({ status, reason }) => [status, reason?.code, reason?.message]);
