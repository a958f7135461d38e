// Browsers start no worker for a page that is opened from a disk. There the search runs in a hidden frame instead.
// The plugin "offline" would load a script of another host for this, unless one with "iframe-worker" in its name is given.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      frame.addEventListener("load", () => {
        const inside = frame.contentWindow;
        inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
        const script = inside.document.createElement("script");
        script.src = url;
        script.onload = () => {
          this.postMessage = data => inside.dispatchEvent(new MessageEvent("message", { data }));
          this.waiting.forEach(this.postMessage);
        };
        inside.document.body.append(script);
      });
      document.body.append(frame);
    }
    postMessage(data) {
      this.waiting.push(data);
    }
  };
}
