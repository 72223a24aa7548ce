// What has become of a purchase, until the visitor dismisses it.

const $ = (id) => document.getElementById(id);

export class Result {
  // `onDismiss` is called with the code of the purchase.
  constructor(onDismiss) {
    $("result-close").addEventListener("click", () => {
      $("result").hidden = true;
      onDismiss($("result-code").textContent);
    });
  }

  show({ total_purchased: sold, failed_count: failed, purchased_items: outcomes }, code) {
    let title = `${sold} of ${sold + failed} are yours.`;
    if (failed === 0) title = sold === 1 ? "It is yours." : "All of it is yours.";
    if (sold === 0) title = "Nothing was left.";
    const lines = outcomes.map((item) => {
      const yours = item.quantity > 1 ? `${item.quantity} are yours` : "yours";
      const line = row(item.name, item.sold ? yours : "somebody else was faster");
      line.dataset.sold = item.sold;
      return line;
    });
    this.#show(title, lines, sold === 0 ? "Nothing was sold to you by" : "Keep the code, it proves your purchase:", code);
  }

  // The shop has cancelled something of an order.
  showCancelled({ code, lines }) {
    const isAll = lines.every(({ quantity, cancelled }) => cancelled === quantity);
    const title = isAll ? "The shop has cancelled your purchase." : "The shop has cancelled a part of your purchase.";
    const rows = lines.map(({ name, quantity, cancelled }) => {
      const rest = quantity - cancelled;
      const some = rest === 1 ? "one is yours" : `${rest} are yours`;
      let words = quantity > 1 ? some : "yours";
      if (cancelled > 0) words = rest > 0 ? `${cancelled} cancelled, ${some}` : "cancelled";
      const line = row(name, words);
      line.dataset.sold = rest > 0;
      return line;
    });
    this.#show(title, rows, "Ask the shop about it by the code", code);
  }

  #show(title, lines, words, code) {
    $("result-title").textContent = title;
    $("result-lines").replaceChildren(...lines);
    $("result-words").textContent = words;
    $("result-code").textContent = code;
    $("result").hidden = $("checkout").hidden = false;
    // The button that was pressed is gone.
    if ([$("buy"), document.body].includes(document.activeElement)) $("result-title").focus();
  }
}

// A line of a list: what, and how it is with it.
export function row(name, note) {
  const line = document.createElement("li");
  const [what, how] = [document.createElement("span"), document.createElement("span")];
  [what.textContent, how.textContent] = [name, note];
  line.append(what, how);
  return line;
}
