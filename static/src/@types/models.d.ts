declare module "models" {
    import { AiRun as AiRunClass } from "@ai_discuss/run/common/run_model";
    import { AiToolCall as AiToolCallClass } from "@ai_discuss/tool_call/common/tool_call_model";

    export interface AiRun extends AiRunClass {}
    export interface AiToolCall extends AiToolCallClass {}

    export interface Message {
        ai_run_ids: AiRun[];
        readonly aiRun: AiRun | undefined;
        tool_call_ids: AiToolCall[];
    }
    export interface Thread {
        ai_run_ids: AiRun[];
        readonly aiActiveRuns: AiRun[];
        readonly aiOwnActiveRuns: AiRun[];
    }
    export interface Store {
        is_ai_manager: boolean;
        "ai.run": StaticMailRecord<AiRun, typeof AiRunClass>;
        "ai.tool.call": StaticMailRecord<AiToolCall, typeof AiToolCallClass>;
    }

    export interface Models {
        "ai.run": AiRun;
        "ai.tool.call": AiToolCall;
    }
}
