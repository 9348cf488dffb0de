import { RunNotices } from "@ai_discuss/channel_settings/common/run_notices";

import { Message } from "@mail/core/common/message";

Object.assign(Message.components, { RunNotices });
