// reader.js URL TEXT - a visitor with a Chromium, until somebody ends it
//
// Opens the page, writes TEXT into its only field and sends it as often as the
// page has not shown it, and prints each line that its list has: "see: ...".
import { launch } from "./browser.js";

const [url, text] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage();
page.on("console", (message) => console.log(`console: ${message.text()}`));
page.on("pageerror", (error) => console.log(`error: ${error}`));
await page.exposeFunction("report", (line) => console.log(`see: ${line}`));
await page.goto(url);
await page.evaluate(() => {
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) globalThis.report(node.textContent);
  }).observe(document.querySelector("ul"), { childList: true });
});
await page.fill("input", text);
await page.press("input", "Enter");
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => browser.close().then(() => process.exit(0)));
