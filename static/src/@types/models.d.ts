declare module "models" {
    import { AiRun as AiRunClass } from "@ai_discuss/run/common/run_model";
    import { AiToolCall as AiToolCallClass } from "@ai_discuss/tool_call/common/tool_call_model";

    export interface AiRun extends AiRunClass {
        readonly canContinue: boolean;
        readonly canRegenerate: boolean;
        continueReply: () => Promise<void>;
        copyText: () => Promise<boolean>;
        giveFeedback: (rating: "up" | "down" | false, comment?: string) => Promise<void>;
        isAskingAgain: boolean;
        is_incomplete: boolean;
        is_replaced: boolean;
        own_comment: string | false;
        own_rating: "up" | "down" | false;
        regenerate: () => Promise<void>;
    }
    export interface AiToolCall extends AiToolCallClass {}

    export interface Message {
        aiFork: () => Promise<void>;
        ai_run_ids: AiRun[];
        readonly aiRun: AiRun | undefined;
        readonly canFork: boolean;
        readonly canResend: boolean;
        readonly isAiReplaced: boolean;
        isAiUnfolded: boolean;
        readonly isNewestAiReply: boolean;
        isToResend: boolean;
        tool_call_ids: AiToolCall[];
    }
    export interface Attachment {
        readonly isUnreadableForAi: boolean;
    }
    export interface Thread {
        ai_assistant_partner_id: ResPartner;
        ai_auto_name: boolean;
        ai_record: { model: string; id: number } | false;
        forgetAiRecord: () => Promise<void>;
        ai_run_ids: AiRun[];
        aiLastWord: Message;
        has_ai_assistant: boolean;
        readonly aiActiveRuns: AiRun[];
        readonly hasAiSettings: boolean;
        readonly aiOwnActiveRuns: AiRun[];
        focusAiComposer: () => void;
        readonly hasUnseenTyping: boolean;
        readonly isAiAtWork: boolean;
        readonly isAloneWithAssistant: boolean;
    }
    export interface DiscussApp {
        aiAssistants: DiscussAppCategory;
    }
    export interface DiscussAppCategory {
        readonly isOfAiAssistants: boolean;
    }
    export interface ResPartner {
        ai_assistant_id: number | undefined;
        ai_description: string | false | undefined;
        ai_prompts: string[];
        is_ai_assistant: boolean;
    }
    export interface Store {
        aiAssistants: ResPartner[];
        askAi: (assistant: ResPartner, record: { model: string; id: number }) => Promise<Thread>;
        manageAiAssistants: () => Promise<void>;
        newAiChat: () => Promise<void>;
        startAiChat: (assistant: ResPartner) => Promise<Thread>;
        aiCall: (model: string, method: string, args: any[]) => Promise<any>;
        readonly isAiColleague: boolean;
        ai_remote_images: boolean;
        is_ai_manager: boolean;
        "ai.run": StaticMailRecord<AiRun, typeof AiRunClass>;
        "ai.tool.call": StaticMailRecord<AiToolCall, typeof AiToolCallClass>;
    }

    export interface Models {
        "ai.run": AiRun;
        "ai.tool.call": AiToolCall;
    }
}
