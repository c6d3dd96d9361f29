async () => { for await (const vm of await api.list_vms()) console.warn(vm); return params; }
