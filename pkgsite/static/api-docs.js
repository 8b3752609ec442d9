// Draws the requests to try out, below what the page says without scripts.

const container = document.querySelector("[data-document]");

if (container && window.SwaggerUIBundle) {
  container.hidden = false;
  window.SwaggerUIBundle({
    url: container.dataset.document,
    domNode: container,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    validatorUrl: null, // nothing is told to another site
    requestInterceptor: (request) => {
      const token = document.querySelector("meta[name=csrf-token]");
      if (token) request.headers["X-CSRFToken"] = token.content;
      return request;
    },
  });
}
