import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { renderToElement } from "@web/core/utils/render";

const THANKS_MS = 2000;

/**
 * Let the blocks of code within an element be copied. They are not our own elements, but HTML that was rendered.
 *
 * @param {HTMLElement} root
 * @param {string} [selector] of the blocks
 */
export function addCopyButtons(root, selector = "pre") {
    for (const block of root.querySelectorAll(selector)) {
        if (!block.querySelector(".o-ai-CopyCode")) {
            block.append(makeButton(block));
        }
    }
}

/** @param {HTMLElement} block */
function makeButton(block) {
    const button = renderToElement("ai_discuss.CopyCode", { title: _t("Copy the code") });
    button.addEventListener("click", async (ev) => {
        ev.stopPropagation();
        try {
            await browser.navigator.clipboard.writeText((block.querySelector("code") ?? block).textContent);
        } catch {
            return; // the browser forbids it: the text can still be selected
        }
        setCopied(button, true);
        browser.setTimeout(() => setCopied(button, false), THANKS_MS);
    });
    return button;
}

/**
 * @param {HTMLElement} button
 * @param {boolean} isCopied
 */
function setCopied(button, isCopied) {
    const title = isCopied ? _t("Copied") : _t("Copy the code");
    button.title = title;
    button.ariaLabel = title;
    button.firstElementChild.classList.toggle("fa-copy", !isCopied);
    button.firstElementChild.classList.toggle("fa-check", isCopied);
}
