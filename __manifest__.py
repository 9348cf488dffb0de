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
    ],
    "demo": [],
    "assets": {},
    "application": True,
    "installable": True,
}
