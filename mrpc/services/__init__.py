"""What a tab needs, without widgets. Imports core and runs; never gradio, plotly, training or ui."""
