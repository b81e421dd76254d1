for (const place of document.querySelectorAll("div.threshold")) {
  const thresholds = JSON.parse(place.dataset.thresholds), share = +place.dataset.share;
  const [range, price] = place.querySelectorAll("input"), output = place.querySelector("output");
  const counts = ([, found, alarms]) => ({
    right: 1000 * share * found, wrong: 1000 * (1 - share) * alarms, missed: 1000 * share * (1 - found),
  });
  const cost = (at) => { const {wrong, missed} = counts(thresholds[at]); return wrong + missed * (+price.value || 1); };
  const places = [...thresholds.keys()], whole = (value) => Math.round(value).toLocaleString("en");
  const show = () => {
    const at = +range.value, {right, wrong, missed} = counts(thresholds[at]);
    const cheapest = places.reduce((best, one) => cost(one) < cost(best) ? one : best);
    range.setAttribute("aria-valuetext", thresholds[at][0]);
    output.textContent = `At ${thresholds[at][0].toFixed(3)}, ${whole(right + wrong)} of 1,000 rows are picked: ${whole(right)} are right, `
      + `${whole(wrong)} are false alarms, and ${whole(missed)} are missed. That costs ${whole(cost(at))} false alarms; `
      + `the cheapest threshold, ${thresholds[cheapest][0].toFixed(3)}, costs ${whole(cost(cheapest))}.`;
  };
  const chosen = +place.dataset.chosen;
  range.value = places.reduce((best, one) => Math.abs(thresholds[one][0] - chosen) < Math.abs(thresholds[best][0] - chosen) ? one : best);
  place.addEventListener("input", show);
  place.hidden = false;
  show();
}
