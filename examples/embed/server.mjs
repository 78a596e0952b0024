// A small HTTP server that predicts in its own process: POST /predict with a JSON list of rows.
//   npx tensorkiln train examples/penguins/training-config.yaml --output runs/penguins
//   node examples/embed/server.mjs runs/penguins 8080
import { createServer } from 'node:http';
import { isTensorkilnError, loadPredictor } from 'tensorkiln';

const [folder = 'runs/penguins', port = '8080'] = process.argv.slice(2);
const MAX_BODY_BYTES = 1 << 20;

const predictor = await loadPredictor(folder);

async function readRows(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw Object.assign(new Error('the body is too large'), { status: 413 });
    chunks.push(chunk);
  }
  try {
    const rows = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (Array.isArray(rows) && rows.every((row) => typeof row === 'object' && row !== null)) return rows;
  } catch {
    // Not JSON: the same answer as for JSON of another form.
  }
  throw Object.assign(new Error('expected a JSON list of rows, each an object of column names and cells'), { status: 400 });
}

function reply(response, status, content) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/predict') {
    reply(response, 404, { error: 'POST /predict is all there is' });
    return;
  }
  // Work for a client that has gone away is not done.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const predictions = await predictor.predict(await readRows(request), { signal: gone.signal });
    reply(response, 200, { classes: predictor.classes, predictions });
  } catch (error) {
    const status = error.status ?? (isTensorkilnError(error) && error.code === 'E_DATA' ? 400 : 500);
    reply(response, status, { error: error.message });
  }
});

server.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
process.once('SIGTERM', () => server.close(() => predictor.dispose()));
