import { Welcome } from "@ai_discuss/welcome/web/welcome";

import { Thread } from "@mail/core/common/thread";

Object.assign(Thread.components, { Welcome });
