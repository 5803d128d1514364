#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens pages of many nodes in a headless Chromium and tells what there is to complain of: browser.py CHROMIUM CASES.json ARTEFACTS

The cases and the answers are those of tests/it/reports/browser.py, whose browser this takes; what is looked at differs.
"""

import base64
import importlib.util
import json
import os
import sys
import tempfile

PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reports", "browser.py")
SPEC = importlib.util.spec_from_file_location("reports_browser", PLACE)
one_node = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(one_node)
# A page of many nodes has a hundred thousand elements.
one_node.PATIENCE = 300

SHOWN = "[...document.querySelectorAll('.find')].filter((one) => !one.hidden).length"
SEEN = "[...document.querySelectorAll('.find')].filter((one) => one.getClientRects().length).length"
TO_DO = "document.querySelectorAll('.find[data-todo]').length"
# What scrolls by itself may hold what is wider.
TOO_WIDE = one_node.TOO_WIDE.replace("!one.closest('.skip')", "!one.closest('.skip') && !one.parentElement.closest('.scroll')")


def look(browser, case, artefacts, folder):
    """Goes through one page."""
    address = "file://" + os.path.abspath(case["page"])
    problems, figures = [], {}

    def problem(kind, text):
        problems.append({"kind": kind, "text": str(text)})

    def picture(name):
        if case["keep"]:
            clip = {"x": 0, "y": 0, "width": browser.js("innerWidth"), "height": min(browser.js("document.documentElement.scrollHeight"), 5000), "scale": 1}
            answer = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            with open(os.path.join(artefacts, f"{case['name']}-{name}.png"), "wb") as file:
                file.write(base64.b64decode(answer["data"]))

    def missing(where, text):
        found = one_node.squeezed(text)
        for wanted in case["texts"]:
            if one_node.squeezed(wanted) not in found:
                problem(where, f"missing: {wanted!r}")

    context = browser.call("Target.createBrowserContext")["browserContextId"]
    target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
        browser.call(f"{domain}.enable")

    browser.size(one_node.WIDE)
    browser.open(address)
    browser.theme("light")
    picture("light")
    figures["lines"] = browser.js(SHOWN)
    for name in browser.js(one_node.TOO_FAINT):
        problem("contrast", f"light: {name}")
    for wide in browser.js(TOO_WIDE):
        problem("wide", f"at {one_node.WIDE}: {wide}")

    # The filter.
    browser.click("#search")
    browser.call("Input.insertText", text="audit-log-path")
    browser.frames()
    figures["found"] = browser.js(SEEN)
    if not 0 < figures["found"] < figures["lines"]:
        problem("filter", f"{figures['found']} of {figures['lines']} are found")
    if browser.js("document.getElementById('shown').value") != f"{figures['found']} of {figures['lines']} lines":
        problem("filter", "it says " + browser.js("document.getElementById('shown').value"))
    browser.click("button[type=reset]")
    browser.frames()
    browser.click("label.toggle:has(#todo)")
    browser.frames()
    figures["to be done"] = browser.js(SEEN)
    if figures["to be done"] != browser.js(TO_DO):
        problem("filter", f"{figures['to be done']} of {browser.js(TO_DO)} that are to be done are shown")
    browser.click("button[type=reset]")
    browser.frames()
    if browser.js(SHOWN) != figures["lines"]:
        problem("filter", f"after a reset {browser.js(SHOWN)} are shown")
    # A column leads to its group, which opens.
    browser.click(".matrix thead a")
    browser.frames()
    if not browser.js("document.getElementById('g-1').open"):
        problem("filter", "a column does not lead to its group")

    # The eye.
    browser.theme("dark")
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for name in browser.js(one_node.TOO_FAINT):
        problem("contrast", f"dark: {name}")
    browser.open(address)
    browser.theme("dark")
    picture("dark")
    browser.theme("light")
    browser.size(one_node.NARROW)
    browser.frames()
    picture("narrow")
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.frames()
    for wide in browser.js(TOO_WIDE):
        problem("wide", wide)
    figures["narrow"] = browser.js("document.documentElement.scrollWidth")

    # The printer, and a browser without scripts.
    browser.size(one_node.WIDE)
    browser.open(address)
    text, figures["printed"] = one_node.pdf_text(browser.pdf(), folder)
    missing("print", text)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(address)
    if browser.js("document.getElementById('filters').getClientRects().length"):
        problem("scriptless", "filters are shown that do nothing")
    text, _ = one_node.pdf_text(browser.pdf(), folder)
    missing("scriptless", text)

    for kind, text in one_node.complaints(browser.events, address):
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
        browser = one_node.Browser(program, folder)
        try:
            json.dump([look(browser, case, artefacts, folder) for case in cases], sys.stdout)
            browser.close()
        finally:
            browser.process.kill()


if __name__ == "__main__":
    main()
