import { AttachmentList } from "@mail/core/common/attachment_list";

/** What a tool returned as files: to look at and to download. They are part of what has happened, and stay. */
export class ToolCallFiles extends AttachmentList {
    /** @override */
    get showDelete() {
        return false;
    }
}
