// Draws the requests to try out, below what the page says without scripts.

const place = document.querySelector("[data-document]");

if (place && window.SwaggerUIBundle) {
  place.hidden = false;
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
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
