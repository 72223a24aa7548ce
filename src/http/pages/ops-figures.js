// The few figures that say how the sale goes, each with the minutes that led to it.

import { ratesOf } from "./ops-class.js";
import { forecast } from "./ops-forecast.js";
import { amount, duration, latency, percent, whole } from "./ops-format.js";
import { isOtherSale } from "./ops-history.js";
import { linear, logarithmic } from "./ops-scale.js";
import { Surface } from "./ops-canvas.js";
import { TimeFrame } from "./ops-time.js";

const confirmed = ({ checkouts, purchases }) => checkouts + purchases;

const INSET = { left: 0, top: 3, right: 3, bottom: 3 };

/** The figures: what is drawn of a second, what is said of the last one, and a word on it; some are shown only of certain sales. */
const FIGURES = {
  unsold: {
    colour: "stock",
    value: ({ sale }) => (sale ? sale.total - sale.sold : null),
    changes: isOtherSale,
    say: whole,
    about: ({ known }) => forecast(known).words,
  },
  paying: {
    colour: "held",
    isShown: ({ sale }) => sale?.payment_seconds > 0,
    value: ({ sale }) => (sale ? (sale.paying ?? 0) : null),
    changes: isOtherSale,
    say: whole,
    about: ({ last }) => `payments, ${duration(last.sale.payment_seconds)} each at most`,
  },
  cancelled: {
    colour: "refused",
    isShown: ({ sale }) => sale?.cancelled > 0,
    value: ({ sale }) => (sale ? (sale.cancelled ?? 0) : null),
    changes: isOtherSale,
    say: whole,
    about: () => "units that were sold",
  },
  confirmed: {
    colour: "confirmed",
    value: (second) => confirmed(ratesOf(second)),
    say: (rate) => `${amount(rate)}/s`,
    about: ({ last }) => {
      const { checkouts, purchases } = ratesOf(last);
      return `${amount(checkouts)} checkouts, ${amount(purchases)} purchases`;
    },
  },
  refused: {
    colour: "refused",
    value: (second) => ratesOf(second).refused,
    say: (rate) => `${amount(rate)}/s`,
    about: ({ last }) => `and ${amount(others(last))} other answers a second`,
  },
  checkout: {
    colour: "checkouts",
    scale: logarithmic,
    value: ({ percentiles }) => percentiles.checkouts?.p99,
    say: latency,
    about: ({ last }) => median(last.percentiles.checkouts),
  },
  purchase: {
    colour: "purchases",
    scale: logarithmic,
    value: ({ percentiles }) => percentiles.purchases?.p99,
    say: latency,
    about: ({ last }) => median(last.percentiles.purchases),
  },
  refusal: {
    colour: "refused",
    scale: logarithmic,
    value: ({ percentiles }) => percentiles.refused?.p99,
    say: latency,
    about: ({ last }) => median(last.percentiles.refused),
  },
  busiest: {
    colour: "shown",
    most: 1,
    value: ({ workers }) => Math.max(0, ...workers.map((worker) => worker.busy)),
    say: percent,
    about: ({ last }) => `of ${last.workers.length} ${last.workers.length === 1 ? "core" : "cores"}`,
  },
};

function others(second) {
  const { repeated, shown } = ratesOf(second);
  return repeated + shown;
}

function median(figures) {
  return figures ? `median ${latency(figures.p50)}` : "none in the last 10 s";
}

/** The row of figures below the header. */
export class Figures {
  #figures;

  constructor(page) {
    this.#figures = Object.entries(FIGURES).map(([name, figure]) => {
      const root = document.getElementById(`figure-${name}`);
      return {
        ...figure,
        root,
        number: root.querySelector("output"),
        word: root.querySelector("small"),
        surface: new Surface(root.querySelector("canvas"), page.redraw),
      };
    });
  }

  draw(view) {
    for (const figure of this.#figures) {
      figure.root.hidden = Boolean(figure.isShown && !(view.last && figure.isShown(view.last)));
      if (figure.root.hidden) continue;
      if (view.last) {
        const value = figure.value(view.last);
        figure.number.textContent = value === null || value === undefined ? "–" : figure.say(value);
        figure.word.textContent = figure.about(view);
      }
      figure.root.dataset.points = String(sparkline(figure, view));
    }
  }
}

/** A line without axes: it shows the way, not the values. Says how many points it has. */
function sparkline({ surface, value, colour, changes, scale = linear, most }, view) {
  if (!surface.begin(view.theme)) return 0;
  const box = surface.box(INSET);
  const frame = new TimeFrame(surface, box, view);
  const values = view.seconds.map(value).filter((each) => each !== null && each !== undefined);
  const from = scale === linear ? 0 : Math.max(1, Math.min(...values) / 2);
  const y = scale(from, most ?? Math.max(from * 4, 1, ...values), box.bottom, box.top);
  frame.gaps({ labels: false });
  for (const points of frame.points(value, y, changes)) {
    surface.area(points, points.map(([x]) => [x, box.bottom]), view.theme[colour], 0.12);
    surface.line(points, view.theme[colour]);
  }
  if (values.length > 0 && view.last) {
    const now = value(view.last);
    if (now !== null && now !== undefined) surface.dot(frame.x(view.endMs), y(now), view.theme[colour], 2.5);
  }
  return values.length;
}
