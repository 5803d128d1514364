#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens pages in a headless Chromium and tells what there is to complain of: browser.py CHROMIUM CASES.json ARTEFACTS

CASES.json is a list of {"name", "page", "texts", "keep"}: a file, the texts that have to be seen on it, and whether its
pictures and its print are kept in ARTEFACTS. On standard output comes, for each, {"name", "problems", "figures"}; a
problem is {"kind", "text"}. What is a failure is decided by tests/it/reports/browser.rs.

Chromium is spoken to through its debugging pipe: JSON, each message ended by a NUL, on its descriptors 3 and 4.
"""

import base64
import fcntl
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time

PATIENCE = 60
WIDE, NARROW = 1280, 360
# What is left of A4 between the margins of the page, in CSS pixels.
PAPER = 688

# What is seen of the controls.
COUNT = "[...document.querySelectorAll('.control')].filter((one) => one.getClientRects().length).length"
TO_DO = "document.querySelectorAll('.control:is([data-status=fail], [data-status=warn], [data-status=unknown]):not([data-waived])').length"
OPEN = "document.querySelectorAll('.control[open]').length"
# Elements that reach beyond the window.
TOO_WIDE = """(() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.body.querySelectorAll('*')].filter((one) =>
    one.getBoundingClientRect().right > width + 0.5 && !one.closest('.skip'));
  const scrolls = document.documentElement.scrollWidth > width ? ['the page scrolls'] : [];
  return [...scrolls, ...wide.map((one) => one.outerHTML.slice(0, 120))];
})()"""
# Text that has less contrast with what is behind it than WCAG AA asks for: 4.5.
TOO_FAINT = """(() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const one of document.body.querySelectorAll('*')) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !one.getClientRects().length || one.closest('svg')) continue;
    const opacity = Number(getComputedStyle(one).opacity);
    const behind = ground(one);
    const ink = numbers(getComputedStyle(one).color).map((c, at) => c * opacity + behind[at] * (1 - opacity));
    const [less, more] = [light(ink), light(behind)].sort((a, b) => a - b);
    const contrast = (more + 0.05) / (less + 0.05);
    if (contrast < 4.5) faint.add(`${one.tagName}.${one.className}: ${contrast.toFixed(2)}`);
  }
  return [...faint];
})()"""


class Browser:
    """A Chromium of our own."""

    def __init__(self, program, folder):
        def high(descriptor):
            # Away from 3 and 4, which the child's ends will get.
            moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
            os.close(descriptor)
            return moved

        (its_in, self.out), (self.into, its_out) = map(lambda pair: (high(pair[0]), high(pair[1])), (os.pipe(), os.pipe()))

        def descriptors():
            os.dup2(its_in, 3)
            os.dup2(its_out, 4)

        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(
            [
                program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
                f"--user-data-dir={folder}/profile", "about:blank",
            ],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            close_fds=False, preexec_fn=descriptors,
        )
        os.close(its_in)
        os.close(its_out)
        self.number, self.rest, self.events, self.session = 0, b"", [], None

    def read(self):
        """Reads what has come: answers are returned, events are kept."""
        ready, _, _ = select.select([self.into], [], [], PATIENCE)
        data = os.read(self.into, 1 << 20) if ready else b""
        if not data:
            raise SystemExit(f"the browser says nothing any more:\n{open(self.log.name, errors='replace').read()[-4000:]}")
        *messages, self.rest = (self.rest + data).split(b"\0")
        answers = []
        for message in map(json.loads, messages):
            (answers if "id" in message else self.events).append(message)
        return answers

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        while True:
            for answer in self.read():
                if answer["id"] == self.number:
                    if "error" in answer:
                        raise SystemExit(f"{method}: {answer['error']}")
                    return answer["result"]

    def wait(self, method):
        """Waits for an event that has not been told yet."""
        end = time.monotonic() + PATIENCE
        while not any(event["method"] == method and not event.get("told") for event in self.events):
            if time.monotonic() > end:
                raise SystemExit(f"{method} does not come")
            self.read()
        for event in self.events:
            if event["method"] == method:
                event["told"] = True

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise SystemExit(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def click(self, selector):
        """Clicks as a hand does: on what is there, wherever it leads."""
        at = self.js(
            f"""(() => {{ const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});
            const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", clickCount=1)

    def frames(self):
        """Lets the page come to rest."""
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")

    def size(self, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)

    def theme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])
        self.frames()

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("Page.loadEventFired")

    def pdf(self):
        answer = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(answer["data"])

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(PATIENCE)


def squeezed(text):
    """Text without what a line break may add to it or take from it."""
    return re.sub(r"[\s\u00ad\u200b-]", "", text)


def pdf_text(data, folder):
    path = os.path.join(folder, "print.pdf")
    with open(path, "wb") as file:
        file.write(data)
    text = subprocess.run(["pdftotext", "-raw", "-nopgbrk", path, "-"], check=True, capture_output=True, text=True).stdout
    return text, len(re.findall(rb"/Type\s*/Page\b", data))


def complaints(events, address):
    """What the browser itself complained of, and what the page asked the network for."""
    for event in events:
        method, told = event["method"], event["params"]
        if method == "Runtime.consoleAPICalled" and told["type"] in ("warning", "error", "assert"):
            yield "console", " ".join(str(one.get("value", one.get("description"))) for one in told["args"])
        elif method == "Runtime.exceptionThrown":
            yield "exception", json.dumps(told["exceptionDetails"])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("warning", "error"):
            yield "console", told["entry"]["text"]
        elif method == "Audits.issueAdded":
            yield "console", json.dumps(told["issue"])
        elif method == "Network.requestWillBeSent" and told["request"]["url"].split("#")[0] != address:
            yield "request", told["request"]["url"]
        elif method in ("Network.webSocketCreated", "Network.webTransportCreated"):
            yield "request", told["url"]
        elif method == "Page.javascriptDialogOpening":
            yield "dialog", told["message"]


def look(browser, case, artefacts, folder):
    """Goes through one page."""
    address = "file://" + os.path.abspath(case["page"])
    problems, figures = [], {}

    def problem(kind, text):
        problems.append({"kind": kind, "text": str(text)})

    def keep(name, data):
        if case["keep"]:
            with open(os.path.join(artefacts, f"{case['name']}-{name}"), "wb") as file:
                file.write(data)

    def picture(name):
        if case["keep"]:
            answer = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
            keep(f"{name}.png", base64.b64decode(answer["data"]))
            height = browser.js("document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": browser.js("innerWidth"), "height": min(height, 6000), "scale": 1}
            answer = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            keep(f"{name}-whole.png", base64.b64decode(answer["data"]))

    def missing(where, text):
        found = squeezed(text)
        for wanted in case["texts"]:
            if squeezed(wanted) not in found:
                problem(where, f"missing: {wanted!r}")

    context = browser.call("Target.createBrowserContext")["browserContextId"]
    target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
        browser.call(f"{domain}.enable")

    browser.size(WIDE)
    browser.open(address)
    browser.theme("light")
    picture("light")
    figures["controls"] = browser.js(COUNT)
    for name in browser.js(TOO_FAINT):
        problem("contrast", f"light: {name}")

    # The filter.
    browser.click("label.toggle:has(input[value=pass])")
    browser.frames()
    figures["without pass"] = browser.js(COUNT)
    said = browser.js("document.getElementById('shown').value")
    if not 0 < figures["without pass"] < figures["controls"]:
        problem("filter", f"{figures['without pass']} of {figures['controls']} are shown without pass")
    if said != f"{figures['without pass']} of {figures['controls']} controls":
        problem("filter", f"it says {said}")
    browser.click("button[type=reset]")
    browser.click("#search")
    browser.call("Input.insertText", text="anonymous")
    browser.frames()
    figures["found"] = browser.js(COUNT)
    if not 0 < figures["found"] < figures["controls"]:
        problem("filter", f"{figures['found']} are found")
    browser.click("button[type=reset]")
    browser.click("#todo")
    browser.frames()
    figures["to be done"] = browser.js(COUNT)
    if figures["to be done"] != browser.js(TO_DO):
        problem("filter", f"{figures['to be done']} of {browser.js(TO_DO)} that are to be done are shown")

    # The filter is in the address, which another browser can open.
    kept = browser.js("location.hash")
    browser.open("about:blank")
    browser.open(address + kept)
    browser.frames()
    if not kept.startswith("#?status=") or browser.js(COUNT) != figures["to be done"]:
        problem("address", f"{kept!r} shows {browser.js(COUNT)} of {figures['to be done']}")

    # A click on the command of a remedy copies it, or selects it where a page may not copy.
    command = "document.querySelector('.control[open] .command')"
    if browser.js(f"Boolean({command})"):
        browser.click(".control[open] .command")
        taken = f"'copied' in {command}.dataset || getSelection().toString() === {command}.textContent"
        for _ in range(50):
            browser.frames()
            if browser.js(taken):
                break
        else:
            problem("copy", "a command is neither copied nor selected")
    browser.click("button[type=reset]")
    browser.frames()
    if browser.js(COUNT) != figures["controls"]:
        problem("filter", f"after a reset {browser.js(COUNT)} are shown")
    browser.click("#open")
    browser.frames()
    figures["open"] = browser.js(OPEN)
    if figures["open"] != figures["controls"]:
        problem("filter", f"{figures['open']} of {figures['controls']} can be opened")

    # The eye.
    browser.theme("dark")
    for name in browser.js(TOO_FAINT):
        problem("contrast", f"dark: {name}")
    browser.click("#close")
    browser.js("scrollTo(0, 0)")
    browser.open(address)
    browser.theme("dark")
    picture("dark")
    browser.theme("light")
    browser.size(NARROW)
    browser.frames()
    picture("narrow")
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.frames()
    for wide in browser.js(TOO_WIDE):
        problem("wide", wide)
    figures["narrow"] = browser.js("document.documentElement.scrollWidth")

    # The printer.
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.size(PAPER)
    browser.frames()
    for wide in browser.js(TOO_WIDE):
        problem("print", f"wider than the paper: {wide}")
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.size(WIDE)
    browser.open(address)
    data = browser.pdf()
    keep("print.pdf", data)
    text, figures["printed"] = pdf_text(data, folder)
    missing("print", text)
    browser.frames()
    figures["open after print"] = browser.js(OPEN)

    # Without scripts.
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(address)
    if browser.js("document.getElementById('filters').getClientRects().length"):
        problem("scriptless", "filters are shown that do nothing")
    closed = "details.control:not([open])"
    if browser.js(f"Boolean(document.querySelector('{closed}'))"):
        before = browser.js(OPEN)
        browser.click(f"{closed} summary")
        if browser.js(OPEN) != before + 1:
            problem("scriptless", "what is closed stays closed")
    text, figures["printed without scripts"] = pdf_text(browser.pdf(), folder)
    missing("scriptless", text)
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    missing("scriptless", browser.js("document.body.innerText"))

    for kind, text in complaints(browser.events, address):
        problem(kind, text)
    browser.session = None
    browser.call("Target.closeTarget", targetId=target)
    browser.call("Target.disposeBrowserContext", browserContextId=context)
    return {"name": case["name"], "problems": problems, "figures": figures}


def main():
    program, cases, artefacts = sys.argv[1:]
    with open(cases, encoding="utf-8") as file:
        cases = json.load(file)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            json.dump([look(browser, case, artefacts, folder) for case in cases], sys.stdout)
            browser.close()
        finally:
            browser.process.kill()


if __name__ == "__main__":
    main()
