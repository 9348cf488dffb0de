import { registerComposerAction } from "@mail/core/common/composer_actions";

import { _t } from "@web/core/l10n/translation";

registerComposerAction("ai-stop", {
    btnClass: "o-ai-Stop",
    condition: ({ composer }) =>
        !composer.message && Boolean(composer.targetThread?.aiOwnActiveRuns.length),
    disabledCondition: ({ composer }) =>
        composer.targetThread.aiOwnActiveRuns.every((run) => run.isStopping),
    icon: "fa fa-stop-circle-o",
    name: _t("Stop the assistant"),
    onSelected: ({ composer: { targetThread: thread } }) => {
        thread.aiOwnActiveRuns.forEach((run) => run.stop());
        thread.focusAiComposer();
    },
    sequenceQuick: 25, // before the button that sends
});
