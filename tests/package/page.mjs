// page.mjs URL - the page of docs/install/vps.md in Chromium: what say.php says is
// shown there, within a minute
import { launch } from "../js/lib/browser.js";

const browser = await launch();
const page = await browser.newPage();
const wrong = [];
page.on("pageerror", (error) => wrong.push(String(error)));
await page.goto(`${process.argv[2]}/room.html`);
const text = "from PHP";
// it may not have joined yet: a message before that is not shown
const publish = setInterval(() => fetch(`${process.argv[2]}/say.php?text=${encodeURIComponent(text)}`), 500);
await page.locator("#said li", { hasText: text }).first().waitFor({ timeout: 60_000 });
clearInterval(publish);
await browser.close();
if (wrong.length > 0) throw new Error(wrong.join("\n"));
