import { defineConfig } from "vite";

export default defineConfig({
  // The server puts a fresh nonce in place of this word each time it sends the page.
  html: { cspNonce: "STEMWISE_NONCE" },
  build: {
    outDir: "../src/stemwise/server/page",
    emptyOutDir: true,
    assetsInlineLimit: 0, // everything is a file of the server's own: no data: in the security policy
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
});
