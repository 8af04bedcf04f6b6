// Keeps a page and its model on the device, so that it answers again when there is no network; the page has a button that deletes it.
const kept = new URL(self.location.href).searchParams.get("kept");
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== self.location.origin) return;
  event.respondWith(
    caches.open(kept).then(async (cache) => {
      const name = new URL(event.request.url).pathname.replace(/index\.html$/, "");
      return (await cache.match(name, { ignoreSearch: true })) || fetch(event.request);
    }),
  );
});
