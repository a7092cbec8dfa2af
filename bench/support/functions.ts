/** Deploys functions on a benchmark's node and follows their runs. */
export interface BenchNode {
  url: string;
  headers: Record<string, Record<string, string>>;
}

/** A call of the API with the headers of one connection. Errors: every answer but 200. */
export async function callNode(node: BenchNode, name: string, method: string, path: string, body?: unknown) {
  const response = await fetch(`${node.url}${path}`, {
    method,
    headers: { ...node.headers[name], ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** One function of an integration, whose key is also its connection's id. */
export async function deployOne(
  node: BenchNode,
  fn: { integration: string; type: 'sync' | 'action'; name: string; js: string },
): Promise<void> {
  const isSync = fn.type === 'sync';
  await callNode(node, fn.integration, 'POST', '/sync/deploy', {
    flowConfigs: [
      {
        type: fn.type,
        syncName: fn.name,
        providerConfigKey: fn.integration,
        models: isSync ? ['Thing'] : [],
        runs: isSync ? 'every day' : null,
        auto_start: false,
        attributes: {},
        metadata: {},
        fileBody: { js: fn.js, ts: `// ${fn.name}` },
        track_deletes: false,
        endpoints: [],
        models_json_schema: { definitions: { Thing: { type: 'object' } } },
      },
    ],
    nangoYamlBody: '',
    reconcile: true,
    debug: false,
    deployMode: 'all',
    sdkVersion: '0.71.10-zero',
  });
}
