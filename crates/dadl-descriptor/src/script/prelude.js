// Runs once in each fresh context, before the script. Takes away what can load or block, saves
// the intrinsics that it needs itself (a script may change its own copies, never these), and
// returns the function that, when there is a script, makes those that the program calls.
(function () {
  "use strict";
  const { BigInt, Date, Error, Promise, Proxy, RangeError, String, TypeError } = globalThis;
  const { apply, ownKeys, deleteProperty, getPrototypeOf } = Reflect;
  const { create, defineProperty, freeze } = Object;
  const { isArray } = Array;
  const { isInteger, isSafeInteger } = Number;
  const { parse, stringify, rawJSON } = JSON;
  const { then } = Promise.prototype;
  const { get: weakGet, set: weakSet, has: weakHas } = WeakMap.prototype;
  const { toWellFormed, startsWith } = String.prototype;
  const { includes } = Array.prototype;

  const kept = [
    "Object", "Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError",
    "URIError", "InternalError", "AggregateError", "Iterator", "Array", "parseInt", "parseFloat",
    "isNaN", "isFinite", "decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent",
    "escape", "unescape", "Infinity", "NaN", "undefined", "Number", "Boolean", "String", "Math",
    "Reflect", "Symbol", "globalThis", "BigInt", "Date", "RegExp", "JSON", "Proxy", "Map", "Set",
    "WeakMap", "WeakSet", "ArrayBuffer", "Uint8ClampedArray", "Int8Array", "Uint8Array",
    "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array",
    "Float16Array", "Float32Array", "Float64Array", "DataView", "Promise", "btoa", "atob",
  ];
  for (const name of ownKeys(globalThis)) {
    if (!kept.includes(name)) deleteProperty(globalThis, name);
  }

  // The constructors of functions compile text, and every function leads to one of them.
  const functions = [
    function () {}, async function () {}, function* () {}, async function* () {},
  ];
  for (const one of functions) {
    defineProperty(getPrototypeOf(one), "constructor", {
      value: undefined, writable: false, enumerable: false, configurable: false,
    });
  }
  defineProperty(Error, "prepareStackTrace", {
    value: undefined, writable: false, enumerable: false, configurable: false,
  });

  // Integers that a number cannot hold are BigInts, and keep their digits on the way back.
  defineProperty(BigInt.prototype, "toJSON", {
    value: function toJSON() { return rawJSON(String(this)); },
    writable: false, enumerable: false, configurable: false,
  });
  const exact = (_, value, context) => {
    if (typeof value !== "number" || !isInteger(value) || isSafeInteger(value)) return value;
    try { return BigInt(context.source); } catch { return value; }
  };
  const read = (text, hasBigIntegers) => (hasBigIntegers ? parse(text, exact) : parse(text));

  return function (host, noun, isOpen, names, mostCalls) {
    // The helpers of `dadl` are calls like those of tools.
    const path = (name) => (apply(startsWith, name, ["dadl."]) ? name : `api.${name}`);
    const open = create(null);
    const texts = new WeakMap();
    let calls = 0;
    const call = (name, given) => {
      calls += 1;
      if (calls > mostCalls) throw new Error(`a ${noun} makes at most ${mostCalls} calls`);
      const wanted = `${path(name)} takes its arguments as one object`;
      if (given === undefined || given === null) given = {};
      if (typeof given !== "object" || isArray(given)) throw new TypeError(wanted);
      const text = stringify(given);
      if (typeof text !== "string") throw new TypeError(wanted);
      // Made here, because the stack leads to the line of the call.
      const error = new Error();
      return new Promise((resolve, reject) => {
        const id = host.call(name, text);
        if (id === undefined) throw new RangeError("the arguments of its calls are too large");
        open[id] = { name, error, resolve, reject };
      });
    };
    // With an open `api` nothing is made for a tool before it is named: there may be thousands.
    const isNoTool = (name) => typeof name !== "string" || name === "then" || name === "toJSON";
    const openApi = (backend) => {
      const made = create(null);
      const isBackend = (name) => backend === "" && name !== "" && apply(includes, names, [name]);
      const has = (_, name) =>
        !isNoTool(name) && (isBackend(name) || host.find(backend, name)[1] === "");
      const get = (_, name) => {
        if (isNoTool(name)) return undefined;
        if (made[name] !== undefined) return made[name];
        if (isBackend(name)) return (made[name] = openApi(name));
        const found = host.find(backend, name);
        if (found[1] !== "") throw new TypeError(found[1]);
        return (made[name] = (given) => call(found[0], given));
      };
      const no = () => false;
      return new Proxy(create(null), {
        get,
        has,
        ownKeys: () => host.names(backend),
        getOwnPropertyDescriptor: (_, name) =>
          has(_, name) ? { configurable: true, enumerable: true, value: get(_, name) } : undefined,
        set: no, defineProperty: no, deleteProperty: no, setPrototypeOf: no, preventExtensions: no,
      });
    };
    const closedApi = () => {
      const closed = create(null);
      for (const name of names) {
        defineProperty(closed, name, { enumerable: true, value: (given) => call(name, given) });
      }
      return freeze(closed);
    };
    const api = isOpen ? openApi("") : closedApi();

    if (isOpen) {
      const { now } = Date;
      const units = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
      const dadl = create(null);
      const helper = (name, value) => defineProperty(dadl, name, { enumerable: true, value });
      helper("search", (queries) => call("dadl.search", { queries }));
      helper("describe", (name) => call("dadl.describe", { name }));
      // Seconds and milliseconds of the epoch are told apart by their size: the year 5138.
      helper("iso", (time) => new Date(time < 1e11 ? time * 1e3 : time).toISOString());
      helper("ago", (count, unit) => {
        if (units[unit] === undefined) throw new TypeError("dadl.ago(count, \"s\" | \"m\" | \"h\" | \"d\")");
        return new Date(now() - count * units[unit]);
      });
      defineProperty(globalThis, "dadl", { value: freeze(dadl) });
    }

    const settle = (id, failed, text, hasBigIntegers) => {
      const { name, error, resolve, reject } = open[id];
      delete open[id];
      if (!failed) {
        let value;
        try { value = read(text, hasBigIntegers); } catch (thrown) { reject(thrown); return; }
        resolve(value);
        return;
      }
      const { code, http_status, message, provider_code, whole } = parse(text);
      const member = (value, enumerable) => ({ value, writable: true, enumerable, configurable: true });
      defineProperty(error, "message", member(message, false));
      defineProperty(error, "code", member(code, true));
      defineProperty(error, "http_status", member(http_status, true));
      defineProperty(error, "provider_code", member(provider_code, true));
      apply(weakSet, texts, [error, `${path(name)}: ${whole}`]);
      reject(error);
    };

    const show = (value) => {
      if (typeof value === "string") return value;
      try {
        const text = value instanceof Error ? String(value) : stringify(value);
        return typeof text === "string" ? text : String(value);
      } catch {
        return "(a value that cannot be shown)";
      }
    };
    const line = (values) => {
      let text = "";
      for (let at = 0; at < values.length; at += 1) text += (at ? " " : "") + show(values[at]);
      return apply(toWellFormed, text, []);
    };
    const console = create(null);
    for (const level of ["debug", "log", "info", "warn", "error"]) {
      const log = (...values) => {
        if (host.wantsLog()) host.log(level, line(values));
      };
      defineProperty(console, level, { enumerable: true, value: log });
    }
    defineProperty(globalThis, "console", { value: freeze(console) });
    freeze(globalThis);

    const describe = (thrown) => {
      const isObject = typeof thrown === "object" && thrown !== null;
      if (isObject && apply(weakHas, texts, [thrown])) return apply(weakGet, texts, [thrown]);
      if (!isObject || !(thrown instanceof Error)) return show(thrown);
      return thrown.name === "Error" ? String(thrown.message) : String(thrown);
    };
    const fail = (thrown) => {
      let text = "it threw a value that cannot be shown";
      let stack = "";
      try { text = apply(toWellFormed, describe(thrown), []); } catch {}
      try { if (typeof thrown.stack === "string") stack = apply(toWellFormed, thrown.stack, []); } catch {}
      host.fail(text, stack);
    };
    const start = (script, params, hasBigIntegers) => {
      const finish = (value) => {
        // Who wrote a function around the script meant what it returns.
        if (isOpen && typeof value === "function") {
          try {
            apply(then, run(value), [done, fail]);
          } catch (thrown) {
            fail(thrown);
          }
          return;
        }
        done(value);
      };
      const done = (value) => {
        try {
          const text = stringify(value);
          host.done(typeof text === "string" ? text : "null");
        } catch (thrown) {
          fail(thrown);
        }
      };
      const run = async (body) => apply(body, undefined, [api]);
      try {
        apply(then, script(api, read(params, hasBigIntegers)), [finish, fail]);
      } catch (thrown) {
        fail(thrown);
      }
    };
    return { start, settle };
  };
})()
