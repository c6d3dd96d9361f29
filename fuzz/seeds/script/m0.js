const vms = await api.list_vms({ fields: "id,size" });
const sizes: number[] = vms.map((vm: { size: number }) => vm.size);
return { total: sizes.reduce((a, b) => a + b, 0), ago: dadl.ago("1h") };
