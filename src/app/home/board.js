// Asks a few times, and shows how the answers spread.
const asked = 12;
const answers = new Map();
const status = document.getElementById("status");
const list = document.getElementById("replicas");

async function ask() {
  let failed = 0;
  for (let i = 0; i < asked; i++) {
    try {
      const response = await fetch("/whoami", { cache: "no-store" });
      const { replica, zone, version } = await response.json();
      const name = [replica, zone, version].filter(Boolean).join(", ");
      answers.set(name, (answers.get(name) || 0) + 1);
    } catch {
      failed++;
    }
    show(i + 1, failed);
  }
}

function show(done, failed) {
  status.textContent = `${done} of ${asked} asked` + (failed ? `, ${failed} failed` : "");
  list.replaceChildren(...[...answers].sort().map(([name, count]) => {
    const item = document.createElement("li");
    item.textContent = `${name}: ${count}`;
    return item;
  }));
}

ask();
