import { ReplyAnnouncer } from "@ai_discuss/announcement/common/reply_announcer";

import { Thread } from "@mail/core/common/thread";

Object.assign(Thread.components, { ReplyAnnouncer });
