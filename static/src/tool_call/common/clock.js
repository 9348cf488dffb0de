import { onWillDestroy, reactive, useState } from "@odoo/owl";

import { browser } from "@web/core/browser/browser";

const SECOND = 1000;

/** One timer for all that count seconds, which runs only while there are any. */
const clock = reactive({ now: Date.now() });
let watchers = 0;
let timer;

/**
 * The present moment, for a component that shows how long something takes: it renders again each second.
 *
 * @returns {{ now: number }} milliseconds since 1970
 */
export function useClock() {
    if (watchers++ === 0) {
        clock.now = Date.now();
        timer = browser.setInterval(() => (clock.now = Date.now()), SECOND);
    }
    onWillDestroy(() => {
        if (--watchers === 0) {
            browser.clearInterval(timer);
        }
    });
    return useState(clock);
}
