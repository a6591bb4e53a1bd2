import { expect, test, vi } from "vitest";
import { getModels } from "./api.ts";

test("an answer that breaks off is none", async () => {
  for (const fetch of [() => Promise.reject(new TypeError()), () => Promise.resolve(new Response("[{"))]) {
    vi.stubGlobal("fetch", fetch);
    await expect(getModels()).rejects.toMatchObject({ status: 0, message: /does not answer/ });
  }
});
