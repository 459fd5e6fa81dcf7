export default {
  fetch() {
    return new Response("Hello from Atoll\n");
  },
};
