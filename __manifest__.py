{
    "name": "AI Assistants for Discuss",
    "summary": "Chat with AI assistants that use your tools, over MCP",
    "version": "19.0.1.0.0",
    "category": "Productivity/Discuss",
    "author": "AI Discuss contributors",
    "license": "LGPL-3",
    "depends": ["mail"],
    "external_dependencies": {
        "python": ["openai", "mcp", "httpx2", "procrastinate", "psycopg", "markdown-it-py"],
    },
    "data": [
        "security/ai_discuss_groups.xml",
        "security/ir.model.access.csv",
        "security/ai_discuss_rules.xml",
        "data/ir_cron.xml",
        "views/ai_model_views.xml",
        "views/ai_provider_views.xml",
        "views/mcp_tool_views.xml",
        "views/mcp_server_views.xml",
        "views/mcp_credential_views.xml",
        "views/ai_assistant_views.xml",
        "views/ai_tool_call_views.xml",
        "views/ai_run_views.xml",
        "views/discuss_channel_views.xml",
        "views/ai_discuss_menus.xml",
    ],
    "demo": ["demo/ai_discuss_demo.xml"],
    "images": ["static/description/main_screenshot.png"],
    "assets": {
        "web.assets_backend": [
            "ai_discuss/static/src/**/*",
        ],
        "mail.assets_public": [
            "ai_discuss/static/src/**/common/**/*",
        ],
        "web.assets_unit_tests": [
            "ai_discuss/static/tests/**/*",
        ],
    },
    "application": True,
    "installable": True,
    "uninstall_hook": "uninstall_hook",
}
