import { ToolCallList } from "@ai_discuss/tool_call/common/tool_call_list";

import { Message } from "@mail/core/common/message";

Object.assign(Message.components, { ToolCallList });
