// What the browser keeps between two visits; where it may not, the page does until it is closed.

// Shops below different prefixes of one address do not share it: "flashsale." at the top, "flashsale.NAME." below.
const PREFIX = `flashsale${new URL("./", document.baseURI).pathname.replaceAll("/", ".")}`;

// What the browser would not take, as text.
const memory = new Map();

export const kept = {
  get(name) {
    try {
      return JSON.parse(memory.get(name) ?? localStorage.getItem(PREFIX + name));
    } catch {
      return null;
    }
  },
  set(name, value) {
    const text = JSON.stringify(value);
    try {
      localStorage.setItem(PREFIX + name, text);
      memory.delete(name);
    } catch {
      memory.set(name, text);
    }
  },
};
