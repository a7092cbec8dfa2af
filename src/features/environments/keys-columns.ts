/** A column of sealed values, and how its rows are walked and named. Constants of ours: they stand in SQL text. */
export interface SealedColumn {
  table: string;
  column: string;
  /** Column of the environment's id. */
  environment: 'environment_id' | 'id';
  /** Second half of the primary key: the order in which rows are walked. */
  cursor: 'id' | 'connection_id';
  cursorType: 'integer' | 'bigint' | 'uuid';
  /** SQL for the row id the ciphertext is bound to, as the slice that seals it writes it. */
  row: string;
  /** Values a transaction replaces: few enough that nobody waits for its row locks, and that they fit into memory. */
  batchRows: number;
}

const BATCH_ROWS = 500;
/** A kept provider answer may have 350 KB. */
const BATCH_ROWS_LARGE = 50;
/** Most records have some KB, one may have 10 MB. */
const BATCH_ROWS_RECORDS = 100;
/** An action's output may have 2 MB. */
const BATCH_ROWS_RUNS = 10;

/**
 * Every column that holds sealed values, of every slice: rotation is one job that has to know all of them. A test
 * compares this list with the database's own.
 */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: 'environment',
    column: 'webhook_signing_key_sealed',
    environment: 'id',
    cursor: 'id',
    cursorType: 'integer',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'previous_signing_key',
    column: 'key_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'integration',
    column: 'credentials_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'integer',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'credential',
    column: 'sealed',
    environment: 'environment_id',
    cursor: 'connection_id',
    cursorType: 'bigint',
    row: 'connection_id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'credential',
    column: 'refresh_sealed',
    environment: 'environment_id',
    cursor: 'connection_id',
    cursorType: 'bigint',
    row: 'connection_id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'refresh_journal',
    column: 'reply_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'bigint',
    row: "connection_id || ':' || epoch",
    batchRows: BATCH_ROWS_LARGE,
  },
  {
    table: 'oauth_flow',
    column: 'sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'disconnect_task',
    column: 'sealed',
    environment: 'environment_id',
    cursor: 'connection_id',
    cursorType: 'bigint',
    row: 'connection_id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'run',
    column: 'input_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'bigint',
    row: 'uuid',
    batchRows: BATCH_ROWS_RUNS,
  },
  {
    table: 'run',
    column: 'output_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'bigint',
    row: 'uuid',
    batchRows: BATCH_ROWS_RUNS,
  },
  {
    table: 'environment_variable',
    column: 'value_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'function_task',
    column: 'result_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS_LARGE,
  },
  {
    table: 'record',
    column: 'sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS_RECORDS,
  },
  {
    table: 'inbound_event',
    column: 'body_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'bigint',
    row: 'uuid',
    batchRows: BATCH_ROWS_LARGE,
  },
  {
    table: 'event',
    column: 'sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'bigint',
    row: 'uuid',
    batchRows: BATCH_ROWS_LARGE,
  },
  {
    table: 'endpoint',
    column: 'secret_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'endpoint',
    column: 'previous_secret_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'uuid',
    row: 'id',
    batchRows: BATCH_ROWS,
  },
  {
    table: 'delivery_attempt',
    column: 'answer_sealed',
    environment: 'environment_id',
    cursor: 'id',
    cursorType: 'bigint',
    row: "delivery_id || ':' || epoch",
    batchRows: BATCH_ROWS,
  },
];
