// The works of the speed bench by path, as a worker of workerd. What they answer is in
// benches/guests/works: keep them alike.

const HELLO = "hello, world!\n";
const TEXT = { "content-type": "text/plain" };
const ANSWERS = {
  "x-answer-1": "a value of the usual length",
  "x-answer-2": "no-cache, no-store, must-revalidate",
  "x-answer-3": 'W/"0815-1f2e3d4c5b6a"',
  "x-answer-4": "default-src 'self'; img-src *",
  "x-answer-5": "accept-encoding, cookie",
  "x-answer-6": "nosniff",
  "x-answer-7": "en",
};
const STEPS = 3_400_000;

export default {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response(HELLO, { headers: TEXT });
      case "/headers":
        return headers(request);
      case "/out":
        return blocks(16, 64 * 1024);
      case "/in":
        return new Response(`${await length(request)}\n`, { headers: TEXT });
      case "/blocks":
        return blocks(10_000, 100);
      case "/cpu":
        return new Response(`${cpu()}\n`, { headers: TEXT });
      default:
        return new Response("no such work\n", { status: 404, headers: TEXT });
    }
  },
};

function headers(request) {
  let seen = 0;
  for (const [name] of request.headers) {
    if (name.startsWith("x-bench-")) seen += 1;
  }
  return new Response(HELLO, { headers: { ...TEXT, ...ANSWERS, "x-seen": `${seen}` } });
}

function blocks(count, size) {
  // The stream that knows its length, so that the answer has one.
  const { readable, writable } = new FixedLengthStream(count * size);
  const block = new Uint8Array(size).fill("x".charCodeAt(0));
  send(writable.getWriter(), block, count).catch(() => {}); // The client has gone.
  return new Response(readable, { headers: TEXT });
}

async function send(writer, block, count) {
  for (let number = 0; number < count; number += 1) await writer.write(block);
  await writer.close();
}

async function length(request) {
  let length = 0;
  for await (const block of request.body) length += block.length;
  return length;
}

// Marsaglia's xorshift32.
function cpu() {
  let state = 2463534242 | 0;
  for (let step = 0; step < STEPS; step += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  return state >>> 0;
}
