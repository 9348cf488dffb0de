-- A copy of the database executes none of the original's runs.
DELETE FROM procrastinate_jobs;
DELETE FROM procrastinate_workers;

UPDATE ai_run
   SET state = 'cancelled',
       finished_at = now() AT TIME ZONE 'UTC'
 WHERE state IN ('queued', 'running', 'waiting');

UPDATE ai_tool_call
   SET state = 'cancelled',
       response = 'Cancelled: the database was copied.',
       is_error = true
 WHERE state IN ('pending', 'approval', 'invoking');

-- Whoever neutralizes a copy means it to be used: its own host may serve it.
UPDATE ir_config_parameter
   SET value = (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid')
 WHERE key = 'ai_discuss.database_uuid';
