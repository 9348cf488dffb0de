import { Attachment } from "@mail/core/common/attachment_model";

import { patch } from "@web/core/utils/patch";

/** What no model is given: the server reads texts, PDFs and the usual images (`services/file_text.py`). */
const UNREADABLE =
    /^(audio|video|font)\/|^image\/(?!(png|jpeg|gif|webp|svg\+xml)$)|^application\/(zip|gzip|msword|x-(7z|rar|tar|bzip).*|vnd\..*)$/;
const MAX_BYTES = 10 * 1024 * 1024;

/** @type {import("models").Attachment} */
const attachmentPatch = {
    /** Whether it is sure that an assistant cannot read this file; of others, its reply says so. */
    get isUnreadableForAi() {
        return UNREADABLE.test(this.mimetype || "") || this.file_size > MAX_BYTES;
    },
};
patch(Attachment.prototype, attachmentPatch);
